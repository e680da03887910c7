// The module: three routes, one gateway, one store.
import { Module } from "@nestjs/common";
import { JwtModule } from "@nestjs/jwt";
import { randomBytes } from "node:crypto";
import { AuthController } from "./auth.js";
import { Feed } from "./feed.js";
import { DynamoDbUsers, MemoryUsers, Users } from "./store.js";
import { UsersController } from "./users.js";

const users = {
  provide: Users,
  useFactory: () => {
    const endpoint = process.env.DYNAMODB_ENDPOINT;
    return endpoint ? DynamoDbUsers.open(endpoint) : new MemoryUsers();
  },
};

@Module({
  imports: [JwtModule.register({ secret: randomBytes(32), signOptions: { expiresIn: "1h" } })],
  controllers: [AuthController, UsersController],
  providers: [Feed, users],
})
export class App {}
