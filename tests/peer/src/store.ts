// Users, in memory or in a table of their own that is created when it is missing.
import { NotFoundException } from "@nestjs/common";
import { CreateTableCommand, DynamoDBClient, ResourceInUseException } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, PutCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";

export interface User {
  id: string;
  fullName: string;
  [field: string]: unknown;
}

export abstract class Users {
  abstract add(user: User): Promise<void>;
  abstract rename(id: string, fullName: string): Promise<User>;
}

export class MemoryUsers extends Users {
  readonly #users = new Map<string, User>();

  async add(user: User) {
    this.#users.set(user.id, user);
  }

  async rename(id: string, fullName: string) {
    const user = this.#users.get(id);
    if (!user) throw new NotFoundException();
    const renamed = { ...user, fullName, updatedAt: new Date().toISOString() };
    this.#users.set(id, renamed);
    return renamed;
  }
}

const TABLE = "peer-users";

export class DynamoDbUsers extends Users {
  private constructor(private readonly client: DynamoDBDocumentClient) {
    super();
  }

  static async open(endpoint: string) {
    const credentials = { accessKeyId: "local", secretAccessKey: "local" };
    const client = new DynamoDBClient({ endpoint, region: "eu-central-1", credentials });
    const table = new CreateTableCommand({
      TableName: TABLE,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    });
    await client.send(table).catch((error: unknown) => {
      if (!(error instanceof ResourceInUseException)) throw error;
    });
    return new DynamoDbUsers(DynamoDBDocumentClient.from(client));
  }

  async add(user: User) {
    await this.client.send(new PutCommand({ TableName: TABLE, Item: user }));
  }

  async rename(id: string, fullName: string) {
    const update = new UpdateCommand({
      TableName: TABLE,
      Key: { id },
      UpdateExpression: "SET fullName = :name, updatedAt = :now",
      ConditionExpression: "attribute_exists(id)",
      ExpressionAttributeValues: { ":name": fullName, ":now": new Date().toISOString() },
      ReturnValues: "ALL_NEW",
    });
    const { Attributes } = await this.client.send(update);
    if (!Attributes) throw new NotFoundException();
    return Attributes as User;
  }
}
