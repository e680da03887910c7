// The administrator's login and the guard behind it.
import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  HttpCode,
  Injectable,
  Post,
  UnauthorizedException,
} from "@nestjs/common";
import { JwtService } from "@nestjs/jwt";

/** As in `local-dev`. */
const ADMIN = { email: "admin@example.com", password: "local-admin" };

@Controller("auth/admin")
export class AuthController {
  constructor(private readonly jwt: JwtService) {}

  @Post("login")
  @HttpCode(200)
  async login(@Body() { email, password }: { email?: string; password?: string }) {
    if (email !== ADMIN.email || password !== ADMIN.password) throw new UnauthorizedException();
    return { tokens: { accessToken: await this.jwt.signAsync({ sub: "admin" }) } };
  }
}

@Injectable()
export class AdminGuard implements CanActivate {
  constructor(private readonly jwt: JwtService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { authorization } = context.switchToHttp().getRequest<{ headers: { authorization?: string } }>().headers;
    try {
      await this.jwt.verifyAsync(authorization?.replace(/^Bearer /, "") ?? "");
      return true;
    } catch {
      throw new UnauthorizedException();
    }
  }
}
